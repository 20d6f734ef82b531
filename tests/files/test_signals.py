"""Requests to stop clean up once, and wait while a finished output takes its place."""

import os
import signal
import threading

import pytest

from mcdrop.files import Kind, Stopped, replaced
from mcdrop.files.signals import STOPPING, stopping_raises, stopping_waits


@pytest.fixture(autouse=True)
def heard():
    """Undoes what a shell asks of jobs in its background: to ignore some requests."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        if before[number] == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_a_request_to_stop_raises_and_later_ones_wait(number):
    before = [signal.getsignal(other) for other in STOPPING]
    cleaned = []

    def run():
        with stopping_raises():
            try:
                signal.raise_signal(number)
            finally:
                for other in STOPPING:
                    signal.raise_signal(other)
                cleaned.append(True)

    with pytest.raises(Stopped) as stop:
        run()
    assert stop.value.number == number
    assert cleaned
    assert [signal.getsignal(other) for other in STOPPING] == before


def test_signals_that_are_ignored_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_raises():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", STOPPING)
def test_a_request_waits_for_the_end_of_a_block(number):
    done = []

    def run():
        with stopping_raises(), stopping_waits():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append(True)

    with pytest.raises(Stopped):
        run()
    assert done


def test_outside_the_main_thread_nothing_is_handled():
    found = []

    def run():
        with stopping_raises(), stopping_waits():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_at_the_moment_of_replacing_comes_after_it(tmp_path, monkeypatch, number):
    from mcdrop.files import workplaces

    kind = Kind("a note", lambda path: True)
    (tmp_path / "p").write_text("old")
    exchange = workplaces.exchange

    def interrupted(source, target):
        signal.raise_signal(number)
        return exchange(source, target)

    monkeypatch.setattr(workplaces, "exchange", interrupted)
    with pytest.raises(Stopped), stopping_raises(), replaced(tmp_path / "p", kind, force=True) as p:
        p.write_text("new")
    assert (tmp_path / "p").read_text() == "new"
    assert os.listdir(tmp_path) == ["p"]
