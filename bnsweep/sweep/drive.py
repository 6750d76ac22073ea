"""A whole multirun from its checks to its report."""

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from bnsweep.errors import IncompleteError, InterruptedSweepError, TrackingError
from bnsweep.records import RunResult, SweepPlan, SweepRun
from bnsweep.records.keys import Config, Value, check
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.redact import first_line
from bnsweep.report import output, terminal
from bnsweep.report.findings import Findings
from bnsweep.report.names import sweep_name
from bnsweep.run.config import to_plain
from bnsweep.sweep.command import TYPED
from bnsweep.sweep.interrupts import Interrupts
from bnsweep.sweep.launched import Launched
from bnsweep.sweep.opening import check_folders, opened
from bnsweep.sweep.plan import make_plan
from bnsweep.sweep.watching import displayed
from bnsweep.sweep.workers import OpenSweep, Reasons, Workers, run_all
from bnsweep.tracking.store import Store, make_store


def run_sweep(
    config: DictConfig,
    *,
    overrides: Sequence[str],
    loader: ConfigLoader,
    launcher: Launcher,
    workers: Workers | None,
) -> list[str]:
    """Run the product of all choices in `overrides` under one parent run, and report.

    Args:
        config: the composed configuration.
        overrides: the choices of each key.
        loader: what composes the configuration of a run.
        launcher: Hydra's launcher, for what has no `workers` of ours.
        workers: who does the runs.

    Returns:
        The status of each run.

    Raises:
        ConfigError, DataError, TrackingError: nothing was started.
        IncompleteError: runs failed, or were interrupted, or are not in the store.
    """
    options, plan = checked_plan(config, overrides, loader)
    store = make_store(config)
    if workers is not None:
        workers.prepare()
    if store is not None:
        store.prepare()
    doing = workers or Launched(launcher, config, store)
    if workers is None:
        doing.prepare()  # a cluster is not asked before the store has answered
    with Interrupts() as interrupts, opened(config, plan, store) as sweep:
        reasons: Reasons = {}
        interrupted = False
        try:
            # Keep the garbage collector away from what was imported: it finds nothing there.
            gc.freeze()
            if sweep.recorder is not None and config.resume:
                sweep.recorder.finish(settle=True)
            todo = [spec for spec in sweep.plan.specs if not sweep.run(spec.number).has_history()]
            with _followed(sweep), _progress(sweep):
                reasons = run_all(doing, todo, sweep)
            interrupts.hold()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            doing.stop()
        return _finish(options, sweep, store, reasons, interrupted=interrupted)


def checked_plan(
    config: DictConfig,
    overrides: Sequence[str],
    loader: ConfigLoader,
    facts: Callable[[Config], Mapping[str, Value]] | None = None,
) -> tuple[output.ReportOptions, SweepPlan]:
    """Return what is to be reported and what is to be run; arguments are those of `make_plan`.

    Raises:
        ConfigError, DataError: the sweep could not be done.
    """
    if (jobs := config.hydra.launcher.get("n_jobs")) == 0:  # no launcher can do with none
        check("hydra.launcher.n_jobs", jobs)
    plan = make_plan(config, overrides, loader, facts)
    options = output.ReportOptions.of(to_plain(config.report))
    check_folders(config)
    output.check_choice(options.choose, plan.specs)
    name = sweep_name(plan.specs, config.hydra.runtime.choices.get("experiment"))
    return options, replace(plan, name=name, command=TYPED.get())


def _followed(sweep: OpenSweep) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if sweep.recorder is None else sweep.recorder.following()


def _progress(sweep: OpenSweep) -> contextlib.AbstractContextManager[None]:
    """Show how many runs are done, those that have a history, and how many of these failed."""
    left = {spec.number for spec in sweep.plan.specs}
    total, failed = len(left), 0

    def count() -> tuple[int, str]:
        nonlocal failed
        for number in [number for number in left if sweep.run(number).has_history()]:
            left.remove(number)
            with contextlib.suppress(OSError, ValueError):
                failed += sweep.run(number).result().status == "failed"
        return total - len(left), f"{failed} failed" if failed else ""

    return displayed(terminal.Progress(total, "runs"), count)


def _outcomes(sweep: OpenSweep, reasons: Reasons) -> Iterator[SweepRun]:
    """Yield each run's row of the report, from its folder."""
    run_ids = sweep.recorder.run_ids if sweep.recorder is not None else {}
    elsewhere = sweep.recorder.elsewhere if sweep.recorder is not None else ()
    for spec in sweep.plan.specs:
        folder, result = sweep.run(spec.number), None
        try:
            # A reused result comes from another sweep, perhaps under other names.
            result = replace(folder.result(), spec=spec)
        except (OSError, ValueError):
            if spec.number in reasons:
                result = RunResult(spec, "failed", error=reasons[spec.number])
            elif folder.has_begun() or folder.path.name in elsewhere:
                result = RunResult(spec, "killed", error="it has left no result")
        reused_from = sweep.plan.reused.get(spec.number)
        yield SweepRun(spec, result, run_ids.get(folder.path), reused_from)


def _without_end(counts: Mapping[str, int]) -> list[str]:
    """Say how many runs failed, were interrupted, or were not started."""
    said: list[str] = []
    for outcome, how in (
        ("failed", "failed"),
        ("killed", "interrupted"),
        ("not_started", "not started"),
    ):
        if number := counts[f"runs_{outcome}"]:
            total = "" if said else f" of {counts['runs_total']} runs"
            verb = "" if how == "failed" else "was " if number == 1 else "were "
            said.append(f"{number}{total} {verb}{how}")
    return said


def _finish(
    options: output.ReportOptions,
    sweep: OpenSweep,
    store: Store | None,
    reasons: Reasons,
    *,
    interrupted: bool,
) -> list[str]:
    """Bring everything to its end on disk and in the store, write the report, and print it."""
    folder, recorder = sweep.folder, sweep.recorder
    for spec in sweep.plan.specs:
        with contextlib.suppress(OSError, ValueError):
            why = "interrupted" if interrupted else "its worker ended"
            sweep.run(spec.number).give_up("killed", why)
    if not (folder / SWEEP_FILE).exists():  # the folder was moved away, and made again by the runs
        with contextlib.suppress(OSError):
            sweep.plan.write(folder)
    complete = recorder is None or recorder.finish(settle=True)
    if recorder is not None and not complete:
        recorder.abandon()
    runs = list(_outcomes(sweep, reasons))
    findings = Findings(runs, options.choose)
    counts = findings.counts
    problems = _without_end(counts)
    if interrupted and not counts["runs_killed"]:
        problems.insert(0, "interrupted")
    if recorder is not None and store is not None and (missing := recorder.missing):
        problems.append(f"{missing} of {len(runs)} runs are not in the store {store.shown}")
    elif not complete:
        problems.append("the store could not be asked what it has")
    remarks = [store.note] if store is not None and store.note else []
    remarks.append(f"Command: `{sweep.plan.typed}`")
    try:
        note = output.write_report(findings, folder, options, remarks).note
    except Exception as error:
        # The runs are done whatever the report fails at, and their parent must be closed.
        problems.append(f"the report cannot be written ({first_line(error)})")
        note = output.shortened("\n\n".join([", ".join(problems), *remarks]))
    ui_command = None
    if recorder is not None and store is not None and sweep.plan.parent is not None:
        whole = complete and not findings.missing
        status = "killed" if interrupted else "finished" if whole else "failed"
        try:
            if recorder.answers:
                metrics = {**counts, **findings.best_validated}
                store.close_sweep(
                    sweep.plan.parent, status=status, metrics=metrics, note=note, folder=folder
                )
                ui_command = store.ui_command(sweep.plan.parent, sweep=True)
            else:
                problems.append("the sweep's own record is not there either")
        except TrackingError as error:
            problems.append(f"the sweep's own record is not in the store: {error}")
            with contextlib.suppress(TrackingError):
                store.kill(sweep.plan.parent)
    terminal.print_findings(findings)
    terminal.print_where(folder, ui_command, sweep.plan.reused.values())
    if problems:
        hint = "the same command with resume=true does what is missing"
        kind = InterruptedSweepError if interrupted else IncompleteError
        raise kind(f"{', '.join(problems)}; {hint}")
    return [run.status for run in runs]
