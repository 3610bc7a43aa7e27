//! Measures, on real sockets and in real time, how long slow callbacks hold up what must not wait for them.
//!
//! Each row of the table is one program: `slow-callbacks` runs all of them, `slow-callbacks 3 7` the rows 3
//! and 7. The figures are not a verdict. The status is not 0 only if a row could not run.
#![forbid(unsafe_code)]

#[path = "slow_callbacks/feed.rs"]
mod feed;
#[path = "slow_callbacks/figure.rs"]
mod figure;
#[path = "slow_callbacks/programs.rs"]
mod programs;
#[path = "slow_callbacks/rows.rs"]
mod rows;
#[path = "slow_callbacks/watch.rs"]
mod watch;

use std::process::ExitCode;

use rows::{ROWS, Row};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const USAGE: &str = "usage: slow-callbacks [ROW]...

Runs the rows of these numbers, or all of them:
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{USAGE}");
        ROWS.iter().enumerate().for_each(|(index, row)| println!("{}", title(index, row)));
        return ExitCode::SUCCESS;
    }
    let chosen = match choose(&arguments) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", figure::line("measured", "figure", "right"));
    let mut status = ExitCode::SUCCESS;
    for index in chosen {
        let row = &ROWS[index];
        println!("\n{}", title(index, row));
        match (row.run)() {
            Ok(figures) => figures.iter().for_each(|figure| println!("{figure}")),
            Err(error) => {
                println!("    could not run: {error}");
                status = ExitCode::FAILURE;
            }
        }
    }
    status
}

fn title(index: usize, row: &Row) -> String {
    format!("{:>2}. {}", index + 1, row.program)
}

/// The indices of the rows that the command line names; all without a name.
fn choose(arguments: &[String]) -> Result<Vec<usize>, String> {
    if arguments.is_empty() {
        return Ok((0..ROWS.len()).collect());
    }
    let index = |argument: &String| match argument.parse::<usize>() {
        Ok(number) if (1..=ROWS.len()).contains(&number) => Ok(number - 1),
        _ => Err(format!("'{argument}' is not the number of a row, from 1 to {}", ROWS.len())),
    };
    arguments.iter().map(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(line: &str) -> Result<Vec<usize>, String> {
        choose(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn rows_are_chosen_by_number() {
        assert_eq!(chosen("").unwrap(), (0..ROWS.len()).collect::<Vec<_>>());
        assert_eq!(chosen("3 1").unwrap(), [2, 0]);
        for line in ["0", "16", "-1", "one"] {
            assert_eq!(
                chosen(line).unwrap_err(),
                format!("'{line}' is not the number of a row, from 1 to 15")
            );
        }
    }
}
