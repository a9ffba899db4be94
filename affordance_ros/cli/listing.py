# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance models` and `affordance eval datasets`: what can be loaded, and what it can be asked."""

from rich.console import Console
from rich.table import Table

from affordance_ros.models import list_models


def print_models() -> None:
    """Print one row per registered model."""
    table = Table(title='models', title_justify='left', show_lines=True)
    for head in ('name', 'what it does', 'answers', 'pocket', 'official checkpoint'):
        table.add_column(head, no_wrap=head == 'name', overflow='fold')
    for entry in list_models():
        pocket = 'yes' if entry.pocket else '-'
        table.add_row(entry.name, entry.summary, ', '.join(sorted(entry.outputs)), pocket, entry.get_checkpoint)
    Console().print(table)


def print_benchmarks() -> None:
    """Print one row per benchmark."""
    from affordance_ros.evaluation.benchmarks import BENCHMARKS

    table = Table(title='benchmarks', title_justify='left', show_lines=True)
    for head in ('name', 'what is asked', 'made for', 'where the data are', 'licence'):
        table.add_column(head, no_wrap=head == 'name', overflow='fold')
    for name, kind in BENCHMARKS.items():
        table.add_row(name, kind.about, ', '.join(kind.options), kind.where, kind.licence)
    Console().print(table)
