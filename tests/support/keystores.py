"""Keystores as docs/security.md says to make them, and the environment of a secured process."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

POLICY = Path(__file__).parents[2] / "config" / "sros2" / "terrain_seg.policy.xml"
NODE = "/terrain/terrain_seg"
SENSORS = "/terrain/sensors"
CONSUMER = "/terrain/consumer"
OPERATOR = "/terrain/operator"
OURS = ("identity_ca.cert.pem", "cert.pem", "key.pem")
"""What tells who a process is, apart from what it may do."""


def ros2(*words, environment):
    """Run the command line; return the finished process."""
    return subprocess.run(
        ["ros2", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120.0,
        check=False,
    )


def environment_of(domain, keystore=None, enclave="/"):
    """Return the variables of a process on a bus of this machine; secured with a keystore."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROS_SECURITY")}
    kept.pop("CYCLONEDDS_URI", None)
    kept |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    if keystore is not None:
        kept |= {
            "ROS_SECURITY_ENABLE": "true",
            "ROS_SECURITY_STRATEGY": "Enforce",
            "ROS_SECURITY_KEYSTORE": str(keystore),
            "ROS_SECURITY_ENCLAVE_OVERRIDE": enclave,
        }
    return kept


def make_keystore(folder, domain, policy=POLICY):
    """Make a keystore with the keys and permissions of every enclave of a policy."""
    environment = environment_of(domain)
    for words in (
        ("create_keystore", folder),
        ("generate_artifacts", "-k", folder, "-p", policy),
    ):
        done = ros2("security", *words, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def forge_permissions(folder, domain, keystore, *, enclave, rights_of):
    """Make a keystore in which an enclave gives itself the rights of another.

    The identity is the true one; the permissions are signed by whoever made the forgery.
    """
    text = POLICY.read_text().replace(f'path="{enclave}"', 'path="/terrain/other"')
    policy = folder.with_suffix(".policy.xml")
    policy.write_text(text.replace(f'path="{rights_of}"', f'path="{enclave}"'))
    make_keystore(folder, domain, policy)
    for name in OURS:
        forged = folder / "enclaves" / enclave.lstrip("/") / name
        forged.unlink()
        shutil.copy(keystore / "enclaves" / enclave.lstrip("/") / name, forged)
    return folder
