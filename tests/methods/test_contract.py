"""All methods of the project keep the contract that third parties are asked to keep."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench.testing import MethodContract, toy_view


class TestSupervised(MethodContract):
    method = "supervised"


class TestSupervisedAugmentedAsNNUNet(MethodContract):
    method = "supervised"
    config: ClassVar[dict[str, Any]] = {"batch_size": 4, "augment": "nnunet_elastic"}


class TestFixMatchAugmentedAsNNUNet(MethodContract):
    method = "fixmatch"
    config: ClassVar[dict[str, Any]] = {**MethodContract.config, "augment": "nnunet"}


class TestMeanTeacher(MethodContract):
    method = "mean_teacher"


class TestSSNet(MethodContract):
    method = "ss_net"


class TestSGRSNet(MethodContract):
    method = "sgrs_net"


class TestCPS(MethodContract):
    method = "cps"


class TestUAMT(MethodContract):
    method = "ua_mt"


class TestFixMatch(MethodContract):
    method = "fixmatch"


class TestBCP(MethodContract):
    method = "bcp"

    def test_budgets_smaller_than_a_batch_can_be_trained(self) -> None:
        """Two labelled images at least: one cannot be pasted into another."""
        with pytest.raises(ValueError, match="label 2 or more"):
            self.fitted(toy_view(labelled=1, unlabelled=1))
        self.fitted(toy_view(labelled=2, unlabelled=1))


class TestUniMatch(MethodContract):
    method = "unimatch"


class TestURPC(MethodContract):
    method = "urpc"


class TestDTC(MethodContract):
    method = "dtc"


class TestMCNetPlus(MethodContract):
    method = "mc_net_plus"


class TestThreshold(MethodContract):
    plugin = Path(__file__).parent.parent / "plugins" / "threshold.py"
    shapes = ((3, 2), (1, 2))  # it knows two classes
