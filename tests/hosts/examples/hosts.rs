//! Prints the names of the hosts of this build, one a line.

fn main() {
    for host in websocket_hosts::HOSTS {
        println!("{}", host.name);
    }
}
