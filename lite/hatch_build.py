"""What hatchling runs before it builds a distribution: a checkout that is not built lacks much of it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NeedsBuild(BuildHookInterface[Any]):
    """Refuses to make a wheel or an sdist without what `make site` makes."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # it shows what will be made
        made: list[str] = self.metadata.hatch.build_config["targets"]["sdist"]["artifacts"]
        missing = [name for name in made if not any((Path(self.root) / name).glob("*"))]
        if missing:
            self.app.abort(
                f"laneway: {', '.join(missing)} are made by `make site`: run it in the checkout first,"
                " or install laneway-lite from the package index."
            )
