"""PettingZoo environments of racer: several cars, each an agent, race each other on one road."""

from racer.assets.extras import how_to_install

try:
    import pettingzoo as pettingzoo
except ModuleNotFoundError as problem:
    raise ModuleNotFoundError(
        f"pettingzoo is not installed; {how_to_install('pettingzoo')}", name="pettingzoo"
    ) from problem
