#!/usr/bin/env bash
# A Slurm on this machine, for tests/real: as root, on Debian or Ubuntu. `make real` runs it.
# Nothing is started where one answers already. Partition "low" is this machine, and "two" are two
# nodes that it plays, with host names of their own.
set -eu
if squeue --noheader >/dev/null 2>&1; then
  echo "Slurm answers already"
  exit 0
fi
command -v slurmctld >/dev/null && command -v munged >/dev/null ||
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge
host=$(hostname -s)
mkdir -p /etc/slurm /var/spool/slurmctld /var/spool/slurmd /var/log/slurm /run/munge
# No accounts: what a user meets on the smallest of clusters, where `sacct` knows nothing.
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd/%n
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.%n.log
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.%n.pid
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=30
PreemptMode=REQUEUE
PreemptType=preempt/partition_prio
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=1000 State=UNKNOWN
NodeName=node[1-2] NodeAddr=127.0.0.1 Port=[6821-6822] CPUs=1 RealMemory=1000 State=UNKNOWN
PartitionName=low Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=high Nodes=$host MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=off
PartitionName=two Nodes=node[1-2] MaxTime=INFINITE State=UP
CONF
chown -R munge /etc/munge /var/lib/munge /var/log/munge /run/munge
munge --no-input >/dev/null 2>&1 || su munge -s /bin/sh -c munged
for _ in $(seq 30); do
  munge --no-input >/dev/null 2>&1 && break
  sleep 1
done
slurmctld
slurmd
for node in node1 node2; do
  unshare --uts sh -c "hostname $node && exec slurmd"
done
for _ in $(seq 60); do
  if [ "$(sinfo --noheader --Node --states=idle --format=%n | sort -u | wc -l)" = 3 ]; then
    sinfo
    exit 0
  fi
  sleep 1
done
echo "Slurm does not come up; see /var/log/slurm" >&2
exit 1
