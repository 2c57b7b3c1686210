"""The address of a cluster: what is understood, and what is said of one that cannot be used."""

import socket
import subprocess
import sys

import pytest

from racer.cli import main
from racer.cluster import open_pool
from racer.cluster.address import ClusterAddress
from racer.errors import ClusterError


def test_three_kinds_of_addresses_are_understood():
    assert ClusterAddress.parse("local") == ("", 0, False)
    assert ClusterAddress.parse("lab-1.school.org:6379") == ("lab-1.school.org", 6379, False)
    assert ClusterAddress.parse("ray://10.0.0.7:10001") == ("10.0.0.7", 10001, True)
    assert ClusterAddress.parse("[::1]:6379").host == "::1"
    for text in ("local", "lab-1:6379", "ray://10.0.0.7:10001", "[::1]:6379"):
        assert str(ClusterAddress.parse(text)) == text


def test_an_address_without_host_or_port_is_refused_with_the_three_forms(subtests):
    for text in ("", "lab", "lab:", ":6379", "lab:0", "lab:99999", "http://lab:80", "ray://lab"):
        with subtests.test(text=text), pytest.raises(ClusterError, match="ray://HOST:PORT"):
            ClusterAddress.parse(text)


def test_a_port_where_nothing_listens_is_named_before_ray_is_asked():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with (
            pytest.raises(ClusterError, match=rf"no cluster answers at 127\.0\.0\.1:{port}"),
            open_pool(f"127.0.0.1:{port}"),
        ):
            pass


def test_a_command_tells_a_wrong_address(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["generalisation", "raceline", "--cluster", "lab"])
    assert ended.value.code == 2
    assert "--cluster 'lab': wanted HOST:PORT" in capsys.readouterr().err


def test_a_cluster_has_its_own_number_of_workers():
    with (
        pytest.raises(ClusterError, match="leave one of --workers and --cluster out"),
        open_pool("lab:6379", 2),
    ):
        pass


@pytest.mark.slow
def test_without_the_switch_ray_is_not_imported():
    code = "import sys, racer.cluster as c, racer.leaderboard.batch, racer.evaluation\n"
    code += "with c.open_pool(None, 1) as pool: print(pool.workers, 'ray' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "1 False\n"
