"""The benchmark's command-line contract, for clients in Python."""

import argparse
import asyncio
import json
import os
import resource
import sys
import time

PERCENTILES = {"p50": 50, "p90": 90, "p99": 99, "p99_9": 99.9, "p99_99": 99.99}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("workload")
    parser.add_argument("--addr", required=True)
    for flag in ["payload", "messages", "warm-up", "connections", "level"]:
        parser.add_argument("--" + flag, type=int, required=True)
    parser.add_argument("--takeover", choices=["yes", "no"], required=True)
    parser.add_argument("--each", choices=["yes", "no"], required=True)
    for flag in ["records", "root", "texts"]:
        parser.add_argument("--" + flag)
    return parser.parse_args()


def payload(length):
    record = '{"symbol":"ABC-XYZ","side":"buy","price":"43210.50","size":"0.0125"},'
    return (record * (length // len(record) + 1))[:length]


class Meter:
    def __init__(self):
        self.wall = time.perf_counter_ns()
        self.cpu = cpu_ns()

    def report(self, messages, size, **more):
        cpu = cpu_ns() - self.cpu
        wall = time.perf_counter_ns() - self.wall
        return {"messages": messages, "bytes": size, "cpu_ns": cpu, "wall_ns": wall, **more}


class Tally:
    """Counts messages; measures from the last message of the warm-up to the last message of all."""

    def __init__(self, task):
        self.task = task
        self.count = self.size = 0
        self.report = None
        self.meter = Meter() if task.warm_up == 0 else None

    def add(self, size):
        """Whether this was the last message."""
        self.count += 1
        self.size += size
        if self.meter is None and self.count == self.task.warm_up:
            self.meter, self.count, self.size = Meter(), 0, 0
        elif self.meter is not None and self.count == self.task.messages:
            self.report = self.meter.report(self.count, self.size)
            return True
        return False


class RoundTrips:
    """The round trips of `echo`. Every connection's first message is sent now."""

    def __init__(self, task):
        self.tally = Tally(task)
        self.sent = [time.perf_counter_ns()] * task.connections
        self.latencies = []

    def add(self, connection, size):
        """Takes the answer on a connection, whose next message is sent now; true when it was the last of all."""
        now = time.perf_counter_ns()
        if self.tally.meter is not None:
            self.latencies.append(now - self.sent[connection])
        self.sent[connection] = now
        return self.tally.add(size)

    def report(self):
        self.latencies.sort()
        count = len(self.latencies)
        rank = {name: -(-count * percent // 100) for name, percent in PERCENTILES.items()}
        return {
            **self.tally.report,
            **{f"latency_{name}_ns": self.latencies[int(at) - 1] for name, at in rank.items()},
        }


def cpu_ns():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1e9)


def resident_bytes():
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))


async def measure_idle(task, opened):
    """Opens the warm-up's connections, then those that are measured."""
    connections = []
    for count in [task.warm_up, task.connections]:
        before = resident_bytes()
        meter = Meter()
        for _ in range(count):
            connections.append(await opened())
        report = meter.report(0, 0)
        grown = max(0, resident_bytes() - before)
    # Thousands of closing handshakes would be waited for.
    finish({**report, "rss_bytes": grown})


def finish(report):
    """Prints the report and ends the process."""
    print(json.dumps(report), flush=True)
    os._exit(0)


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(name, workloads):
    """The whole of a client: reads the command line, runs a workload, and prints its report."""
    task = arguments()
    raise_descriptor_limit()
    if task.workload not in workloads:
        sys.exit(f"error: {name} has no '{task.workload}' here")
    finish(asyncio.run(workloads[task.workload](task)))
