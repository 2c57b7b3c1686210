"""Commands that measure the simulator's speed, training and a vehicle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from racer.cli.output import make_console, print_json

if TYPE_CHECKING:
    from racer.cluster.jobs import JobPool


def cli_bench(json: bool = False) -> None:
    """Measure the simulator's speed on one core, and the time that Bullet alone takes.

    Other simulators that are installed are timed in the same run: CarRacing, HighwayEnv's
    racetrack, f1tenth_gym and gym-pybullet-drones. How well policies drive that were trained, and
    how soon they learn, is `racer benchmark`.

    Args:
        json: Print the results as JSON.
    """
    from racer.benchmark.simulator import benchmark_simulator as measure
    from racer.benchmark.simulator import benchmark_table

    figures = measure()
    if json:
        print_json(figures)
    else:
        make_console().print(benchmark_table(figures))


def cli_benchmark(
    name: str | None = None,
    /,
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    csv: Path | None = None,
    quiet: bool = False,
    json: bool = False,
) -> None:
    """Train and race a row of the benchmarks page from several seeds, or list the rows.

    `racer benchmark` lists the rows: a policy, a track, and the command that makes the policy.
    `racer benchmark NAME` makes it from each seed and races the best checkpoint over three laps
    from a standing start. It prints laps, times in multiples of the track's limit with a 95 %
    interval over the seeds, processor time, and the evaluations in training. How fast the simulator
    itself is, `racer bench` measures.

    Args:
        name: The row, such as fast-bowtie.
        seeds: Seeds of the training; a pilot has none, and races once.
        csv: Add a line for each seed to this file, and one for each evaluation to the file beside
            it whose name ends with -curves. A seed that is in the file is not measured again.
        quiet: Show no progress of the trainings.
        json: Print the results as JSON.
    """
    from racer.benchmark.result_files import ResultFiles, measure_row
    from racer.benchmark.row_summary import curves_table, results_table, summary_dict
    from racer.benchmark.rows import (
        BENCHMARK_ROWS,
        benchmark_row,
        benchmark_row_dict,
        benchmark_rows_table,
    )
    from racer.training.shared_output import shared_output

    if name is None:
        if json:
            print_json([benchmark_row_dict(one) for one in BENCHMARK_ROWS])
        else:
            make_console().print(benchmark_rows_table(BENCHMARK_ROWS))
        return
    row, files = benchmark_row(name), ResultFiles(csv) if csv else None
    with shared_output():
        shown = make_console(stderr=True, quiet=quiet)
        measured = list(measure_row(row, seeds, files, shown))
        results = [result for result, _ in measured]
        curves = [point for _, curve in measured for point in curve]
        if json:
            print_json(summary_dict(row, results, curves))
            return
        for table in (results_table(results), *([curves_table(curves)] if curves else [])):
            make_console().print(table)


def cli_bench_train(
    config: str,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    cluster: str | None = None,
    json: bool = False,
) -> None:
    """Train a config with several seeds until it drives clean laps, and print how long it took.

    Args:
        config: A shipped config's name, or a YAML file.
        seeds: The seeds; each is one run.
        cluster: Train on the nodes of a Ray cluster, each run with a node for itself: HOST:PORT,
            ray://HOST:PORT, or local for a Ray of this machine's own.
        json: Print the results as JSON.
    """
    from racer import assets
    from racer.assets.document import read_document
    from racer.training.config import RunConfig
    from racer.training.time_to_clean_laps import time_all_seeds, time_to_clean_laps_table

    chosen = read_document(assets.find_file(config, "configs"), RunConfig)
    with _machines(cluster) as pool:
        figures = time_all_seeds(chosen, seeds, pool)
    if json:
        print_json(figures)
    else:
        make_console().print(time_to_clean_laps_table(figures, chosen.evaluation.laps))


def cli_bench_gpu(
    cars: tuple[int, ...] = (), device: Literal["auto", "cuda", "cpu"] = "auto", json: bool = False
) -> None:
    """Measure the simulator and the training on a GPU, beside this machine's processor.

    It prints physics steps and camera frames a second, trained steps a second from the state and
    from a camera, the time until the judge sees clean laps, and the memory that a car takes.

    Args:
        cars: Numbers of cars, such as `--cars 256 4096`; by default 256 to 65536 on a GPU, and 256
            on the processor.
        device: cuda; cpu, which runs the same kernels on the processor; auto: cuda.
        json: Print the results as JSON.
    """
    from racer.cli.output import say_aside
    from racer.training.device_benchmark import benchmark_device, device_benchmark_tables

    figures = benchmark_device(cars, device, say_aside)
    if json:
        print_json(figures)
    else:
        for table in device_benchmark_tables(figures):
            make_console().print(table)


def cli_speedrun(
    config: str | None = None,
    /,
    *,
    track: str | None = None,
    sensor: str | None = None,
    seeds: int = 8,
    minutes: float = 5.0,
    records: Path | None = None,
    save: bool = False,
    markdown: bool = False,
    cluster: str | None = None,
    json: bool = False,
) -> None:
    """Time how soon a config trains to fast clean laps, and compare it with the standing record.

    `racer speedrun` shows the records. `racer speedrun CONFIG` trains the config and the standing
    record of its category in turn, each from new seeds, until an evaluation drives three clean laps
    within 1.5 times the track's limit. It is a record if a rank test finds it faster with
    p < 0.01. The rules are in docs/speedrun.md.

    Args:
        config: The challenger: a YAML file, or the name of a config that ships with racer.
        track: The category's track; bowtie by default.
        sensor: The category's kind of sensor, such as camera or state; by default the challenger's.
        seeds: Number of runs of each config; at least 5.
        minutes: Limit of one run; one that does not get there counts as having taken that long.
        records: The file of the records; by default docs/speedrun.json.
        save: Add the challenger to the records if it is one.
        markdown: Show the records as the table in docs/speedrun.md.
        cluster: Time pairs of runs, one of each config, on the nodes of a Ray cluster, each pair
            with a node for itself: HOST:PORT, ray://HOST:PORT, or local for a Ray of this
            machine's own.
        json: Print the result as JSON.
    """
    from racer.training.speedrun_challenge import challenge_record
    from racer.training.speedrun_records import (
        RECORDS_FILE,
        read_records,
        records_markdown,
        speedrun_table,
    )

    path = records or RECORDS_FILE
    if config is None:
        known = read_records(path).of(track, sensor)
        if json:
            print_json(known.model_dump(mode="json"))
        elif markdown:
            print(records_markdown(known), end="")
        else:
            make_console().print(speedrun_table(known))
        return
    console = make_console(stderr=json)
    with _machines(cluster) as pool:
        result = challenge_record(
            config, track or "bowtie", sensor, seeds, minutes, path, save, console, pool
        )
    if json:
        print_json(result.as_dict())
    else:
        print(result.summary)


@contextmanager
def _machines(address: str | None) -> Iterator[JobPool | None]:
    """Open a pool whose jobs have a machine of a cluster for themselves; None without an address.

    Args:
        address: The cluster's address.
    """
    from racer.cli.output import say_aside
    from racer.cluster.address import open_cluster

    with open_cluster(address, say_aside) as cluster:
        if cluster is None:
            yield None
            return
        with cluster.whole_nodes() as pool:
            yield pool


def car_report(car: str = "deepracer", out: Path | None = None, json: bool = False) -> None:
    """Compare a car's manoeuvres with closed-form results, and print which checks it passes.

    Args:
        car: The car: deepracer or f1tenth.
        out: Also write plots into this folder.
        json: Print the checks as JSON.
    """
    from racer.car.spec import car_named
    from racer.validation.checks import run_vehicle_checks
    from racer.validation.vehicle_report import vehicle_report_dict, vehicle_report_table

    spec = car_named(car)
    checks = run_vehicle_checks(spec)
    if json:
        print_json(vehicle_report_dict(spec, checks))
    else:
        make_console().print(vehicle_report_table(spec, checks))
    if out:
        from racer.validation.manoeuvre_plots import plot_all_manoeuvres

        for path in plot_all_manoeuvres(spec, out):
            print(f"plot: {path}", file=sys.stderr if json else sys.stdout)


def cli_fit(
    log: Path,
    car: str = "deepracer",
    out: Path | None = None,
    example: bool = False,
    json: bool = False,
) -> None:
    """Estimate a real car's latency, gains and grip from a log of its driving.

    Simulated cars drive the log's commands, and the quantities are those with which they turn and
    drive as the log says, with 95 % intervals. docs/system-identification.md lists the columns.

    Args:
        log: The log, a CSV file.
        car: The car: deepracer or f1tenth.
        out: Also write the intervals as ranges into this YAML file, for `--randomisation`.
        example: First write the log of a simulated car, with noise, to LOG.
        json: Print the estimates as JSON.
    """
    from racer.car.spec import car_named
    from racer.identification.car_log import read_car_log, write_car_log
    from racer.identification.example_log import EXAMPLE_VALUES, example_log
    from racer.identification.fit import fit_car, write_randomisation

    spec, status = car_named(car), sys.stderr if json else sys.stdout
    if example:
        write_car_log(log, example_log(spec))
        told = ", ".join(f"{name} {value:g}" for name, value in EXAMPLE_VALUES.items())
        print(f"example: {log}, of a car with {told}", file=status)
    found = fit_car(read_car_log(log), spec)
    if json:
        print_json(found.as_dict())
    else:
        make_console().print(found.table())
    if out:
        write_randomisation(found, log, out)
        print(f"randomisation: {out}", file=status)
