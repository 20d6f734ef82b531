"""What `mcdrop study` says when it is stopped."""

import pytest

from mcdrop.cli.study import told_what_is_kept


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("s,a,0,1\ns,a,0,2\n", "1 finished run is kept"),
        ("s,a,0,1\ns,b,0,1\n", "2 finished runs are kept"),
    ],
)
def test_a_study_that_is_stopped_says_what_is_kept(tmp_path, rows, words):
    (tmp_path / "runs.csv").write_text("study,setting,seed,epoch\n" + rows)
    with pytest.raises(KeyboardInterrupt) as caught, told_what_is_kept(tmp_path):
        raise KeyboardInterrupt
    assert caught.value.__notes__ == [f"{words} in {tmp_path}, go on with --resume"]


def test_a_study_that_is_stopped_before_its_first_run_keeps_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught, told_what_is_kept(tmp_path):
        raise KeyboardInterrupt
    assert not hasattr(caught.value, "__notes__")
