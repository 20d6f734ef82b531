"""A study cut down to a few settings and examples, run with its page."""

from dataclasses import replace

from mcdrop.study.catalog import plan_study
from mcdrop.study.page import render
from mcdrop.study.plan import Request
from mcdrop.study.running import execute
from mcdrop.study.runs import read_pictures, read_record


def run_reduced(name, folder, settings=None, **options):
    """Returns plan, table, page and pictures of some settings of a study with a single seed."""
    given = {"epochs": 1, "num_samples": 8, "train_size": 64, "test_size": 40} | options
    plan = plan_study(name, Request("digits", seeds=1, **given))
    if settings is not None:
        plan = replace(
            plan,
            settings={setting: plan.settings[setting] for setting in settings},
            references={setting: plan.references[setting] for setting in settings},
            headline=settings[-1],
            jobs=[job for job in plan.jobs if set(job.settings) <= set(settings)],
        )
    result = execute(plan, output=folder)
    pictures = read_pictures(folder)
    page = render(plan, result, read_record(folder), "digits", pictures)
    assert plan.question in page
    assert "<svg" in page
    return plan, result.runs, page, pictures
