from collections.abc import Sequence

__version__: str

class Result:
    @property
    def code(self) -> int: ...
    @property
    def messages(self) -> list[tuple[str, str]]: ...

def compile(
    input: str,
    output: str,
    emit: str,
    weights: str,
    target: str,
    target_cpu: str,
    opt_level: int,
    precise: bool,
    shapes: Sequence[tuple[str, int]],
    custom_domains: Sequence[str],
) -> Result: ...
