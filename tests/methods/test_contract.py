"""All methods of the project keep the contract that third parties are asked to keep."""

from pathlib import Path

from bench.testing import MethodContract


class TestSupervised(MethodContract):
    method = "supervised"


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


class TestThreshold(MethodContract):
    plugin = Path(__file__).parent.parent / "plugins" / "threshold.py"
    shapes = ((3, 2), (1, 2))  # it knows two classes
