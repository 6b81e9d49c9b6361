"""A progress bar on the terminal, and silence everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

T = TypeVar("T")


class Progress(Generic[T]):
    """The bar that `progress` returns: iterate over it, or enter it and advance it."""

    def __init__(self, work: Iterable[T] | int, description: str) -> None:
        self._work = work
        self._description = description
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def advance(self, steps: float = 1) -> None:
        """Move the bar on.

        Parameters
        ----------
        steps : float
            How much work was done.
        """
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, steps)

    def __iter__(self) -> Iterator[T]:
        """Yield the items of the work, advancing after each."""
        items: Iterable[T] = range(self._work) if isinstance(self._work, int) else self._work  # type: ignore[assignment]
        with self:
            for item in items:
                yield item
                self.advance()

    def __enter__(self) -> Self:
        """Show the bar, if someone is there to see it."""
        if sys.stderr.isatty():
            self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(console=Console(stderr=True))
        self._task = self._bar.add_task(self._description, total=self._total())
        self._bar.start()

    def _total(self) -> int | None:
        if isinstance(self._work, int):
            return self._work
        return len(self._work) if isinstance(self._work, Sized) else None


@overload
def progress(work: int, description: str) -> Progress[int]: ...
@overload
def progress(work: Iterable[T], description: str) -> Progress[T]: ...
def progress(work: Iterable[T] | int, description: str) -> Progress[Any]:
    """Show the progress of some work on stderr, if that is a terminal.

    Parameters
    ----------
    work : iterable or int
        What to iterate over, or the number of steps.
    description : str
        What is being done.

    Examples
    --------
    >>> sum(progress([1, 2, 3], "Adding"))
    6
    >>> with progress(10, "Sleeping") as bar:
    ...     bar.advance()
    """
    return Progress(work, description)
