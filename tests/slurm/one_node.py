"""A SLURM of one node on this machine, without root, munge or accounting: four made-up cores, four made-up A100s."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd")
USER = pwd.getpwuid(os.getuid()).pw_name
#: the job step drops SLURM_CONF from the environment, so that these need it given anew
COMMANDS = ("srun", "sbatch", "squeue", "scontrol", "sinfo", "scancel")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2
DefMemPerCPU=1000
MinJobAge=3600
KillWait=5
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 \
RealMemory=100000 Gres=gpu:a100:4 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=7-00:00:00 State=UP
"""


def missing() -> list[str]:
    """Programs of SLURM that are not on this machine."""
    return [name for name in (*PROGRAMS, *COMMANDS) if _find(name) is None]


def _find(name):
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class OneNode:
    """The daemons; they end with `stop`.

    Parameters
    ----------
    folder : Path
        For configuration, state and logs of the daemons.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for part in ("state", "spool", "bin"):
            (folder / part).mkdir(parents=True)
        ports = _free_ports(2)
        self._conf = folder / "slurm.conf"
        self._conf.write_text(
            CONFIGURATION.format(
                host=socket.gethostname().split(".")[0],
                folder=folder,
                user=USER,
                controller=ports[0],
                daemon=ports[1],
            )
        )
        devices = ("null", "zero", "full", "random")  # a count without a device gives no GPU
        (folder / "gres.conf").write_text("".join(f"Name=gpu Type=a100 File=/dev/{device}\n" for device in devices))
        for name in COMMANDS:
            wrapper = folder / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self._conf} exec {_find(name)} "$@"\n')
            wrapper.chmod(0o755)
        self.path = f"{folder / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "SLURM_CONF": str(self._conf)}
        for program, options in (("slurmctld", ["-c"]), ("slurmd", [])):
            subprocess.run([_find(program), *options], env=environment, check=True, capture_output=True)
        self._wait_until_idle()

    def _wait_until_idle(self, seconds=60):
        state = ""
        for _ in range(seconds * 2):
            state = self.call("sinfo", "--noheader", "--format=%t", check=False).strip()
            if state and set(state.split()) == {"idle"}:
                return
            time.sleep(0.5)
        logs = "\n".join((self.folder / f"{name}.log").read_text()[-2000:] for name in PROGRAMS)
        raise RuntimeError(f"the node is not idle but {state or 'unknown'}:\n{logs}")

    def call(self, command: str, *arguments, check=True) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run([self.folder / "bin" / command, *arguments], capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """All jobs since the start, those that ended too, with what `scontrol` says of them."""
        lines = self.call("scontrol", "--oneliner", "--all", "show", "jobs").splitlines()
        return [dict(part.split("=", 1) for part in line.split() if "=" in part) for line in lines if "=" in line]

    def stop(self):
        """End all jobs and both daemons."""
        self.call("scancel", "--user", USER, check=False)
        for _ in range(60):
            if not self.call("squeue", "--noheader", check=False).strip():
                break
            time.sleep(0.5)
        for name in reversed(PROGRAMS):
            pid = int((self.folder / f"{name}.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                try:
                    os.kill(pid, 0)
                except ProcessLookupError:
                    break
                time.sleep(0.1)


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
