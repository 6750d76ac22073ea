"""From a configuration to its tracker."""

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from bnsweep.tracking.no_tracker import NoTracker

_trackers: dict[str, NoTracker] = {}


def make_tracker(cfg: DictConfig) -> NoTracker:
    """Return the tracker that `cfg` names; each process keeps it, because connecting is slow."""
    output_dir = str(Path(cfg.output_dir).absolute())
    key = f"{OmegaConf.to_container(cfg.tracking)} {output_dir}"
    if key not in _trackers:
        _trackers[key] = instantiate(cfg.tracking, output_dir=output_dir)
    return _trackers[key]
