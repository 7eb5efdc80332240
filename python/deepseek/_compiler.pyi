from collections.abc import Sequence

__version__: str

class Result:
    @property
    def code(self) -> int: ...
    @property
    def messages(self) -> list[tuple[str, str]]: ...
    @property
    def cached(self) -> int: ...

class Session:
    def __init__(self, cache_folder: str, warns_of_cache: bool) -> None: ...
    def compile(
        self,
        input: str,
        output: str,
        emit: str,
        weights: str,
        target: str,
        target_cpu: str,
        opt_level: int,
        precise: bool,
        shapes: Sequence[tuple[str, int]],
        versions: Sequence[Sequence[tuple[str, int]]],
        forced: Sequence[tuple[str, Sequence[int]]],
        custom_domains: Sequence[str],
        donate: Sequence[tuple[str, str]],
        optional: Sequence[str],
        precision: str,
        training: tuple[str, str, str, Sequence[str]] | None,
        memory_budget: str,
        recompute: Sequence[str],
    ) -> Result: ...

def default_cache_folder() -> str: ...
