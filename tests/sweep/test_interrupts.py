"""What a first and a second signal do, and that the handlers of before come back."""

import contextlib
import signal
import subprocess
import sys
import threading

import pytest

from bnsweep.sweep.interrupts import Interrupts, uninterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
each_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def before():
    """Handlers of the test's own, and what they have received: a lost signal ends no test run."""
    received = []

    def note(number, _frame):
        received.append(number)

    # Tests that run in the background may be deaf to a hang-up.
    old = {number: signal.signal(number, note) for number in (*SIGNALS, signal.SIGHUP)}
    yield note, received
    for number, handler in old.items():
        signal.signal(number, handler)


@each_signal
def test_the_first_signal_raises_keyboard_interrupt(before, number):
    with Interrupts() as interrupts:
        assert not interrupts.seen
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert interrupts.seen
    assert before[1] == []


@each_signal
def test_after_hold_the_first_signal_is_only_noted(before, number):
    with Interrupts() as interrupts:
        interrupts.hold()
        assert not interrupts.seen
        signal.raise_signal(number)
        assert interrupts.seen
    assert before[1] == []


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_the_handlers_of_before_come_back(before, error):
    note, received = before
    try:
        with Interrupts():
            assert all(signal.getsignal(number) != note for number in SIGNALS)
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError) as caught:
        assert type(caught) is error  # and none was swallowed
    else:
        assert error is None
    for number in SIGNALS:
        signal.raise_signal(number)
    assert received == [*SIGNALS]


def test_outside_the_main_thread_nothing_is_taken_over(before):
    found = []

    def elsewhere():
        with Interrupts() as interrupts:
            found.extend(signal.getsignal(number) for number in SIGNALS)
            interrupts.hold()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [before[0]] * 2
    assert [signal.getsignal(number) for number in SIGNALS] == [before[0]] * 2


@each_signal
def test_what_is_uninterrupted_is_done_whole_before_a_signal_acts(before, number):
    done = []

    def work():
        with uninterrupted():
            done.append("first")
            signal.raise_signal(number)
            done.append(interrupts.seen)
        done.append("behind the context")

    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert interrupts.seen
    assert done == ["first", False]
    assert before[1] == []


def test_ctrl_c_of_python_itself_waits_as_well():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []

    def work():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


@pytest.mark.parametrize("error", [None, ValueError])
def test_the_handlers_of_before_receive_what_has_waited(before, error):
    note, received = before
    with contextlib.suppress(ValueError), uninterrupted():
        for number in SIGNALS:
            signal.raise_signal(number)
        assert received == []
        if error is not None:
            raise error
    assert received == [*SIGNALS]
    assert [signal.getsignal(number) for number in SIGNALS] == [note] * 2


def test_what_is_uninterrupted_raises_nothing_by_itself(before):
    with uninterrupted():
        pass
    assert before[1] == []


def test_outside_the_main_thread_nothing_waits(before):
    found = []

    def elsewhere():
        with uninterrupted():
            found.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [before[0]] * 2


TWO_SIGNALS = """
import signal, sys, time
from bnsweep.run.users_code import kept_alive
from bnsweep.sweep.interrupts import Interrupts, uninterrupted
first, second, hold = sys.argv[1:]
with Interrupts() as interrupts, kept_alive():
    try:
        if hold:
            interrupts.hold()
        signal.raise_signal(signal.Signals[first])
    except KeyboardInterrupt:
        pass
    try:
        print("closing", flush=True)
        time.sleep(0.3)  # at once, they would count as one
        signal.raise_signal(signal.Signals[second])
    finally:
        print("this is not reached", flush=True)
"""


@pytest.mark.parametrize("hold", ["", "hold"], ids=["raised", "held"])
@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGTERM"), ("SIGTERM", "SIGINT")])
def test_the_second_signal_ends_the_process_at_once(first, second, hold):
    command = [sys.executable, "-c", TWO_SIGNALS, first, second, hold]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 130
    assert done.stdout == "closing\n"
    assert done.stderr == ""


@each_signal
def test_at_the_end_signals_are_ignored_and_stay_so(before, number):
    with Interrupts() as interrupts:
        interrupts.end()
        signal.raise_signal(number)
    signal.raise_signal(number)
    assert before[1] == []


def test_two_signals_at_once_are_one():
    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)


def test_a_terminal_that_hangs_up_twice_does_not_end_the_process_at_once():
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert interrupts.seen
