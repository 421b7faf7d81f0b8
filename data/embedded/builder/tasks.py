"""All downstream tasks."""

from collections.abc import Iterable

from .array_tasks import array_tasks
from .clipart_task import clipart_task
from .drawings import Drawings, Emoji
from .emoji_tasks import emoji_tasks
from .font_tasks import font_tasks
from .icon_tasks import icon_tasks
from .samples import Task
from .sources import Packages


def build_tasks(packages: Packages, drawings: Drawings, emoji: list[Emoji], corpus_names: Iterable[str]) -> list[Task]:
    """Return the 14 in-domain tasks and the out-of-domain one.

    `emoji` are those of the downstream concepts, `corpus_names` the names of all emoji of the other concepts.
    """
    return [
        *array_tasks(packages),
        *emoji_tasks(drawings, emoji),
        *icon_tasks(packages, drawings, corpus_names),
        *font_tasks(packages),
        clipart_task(packages),
    ]
