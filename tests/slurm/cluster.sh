#!/bin/bash
# A Slurm of one node on loopback, all of it in one folder: `cluster.sh up|down DIR`. Debian: apt-get install slurm-wlm munge.
# /etc/slurm and /etc/munge are left alone; SLURM_CONF=DIR/slurm.conf points the clients here.
set -euo pipefail
B=$2
R=$B/run
export SLURM_CONF=$B/slurm.conf

up() {
  local host me; host=$(hostname -s); me=$(id -un)
  mkdir -p "$B"/{state,spool,log,run}
  chmod 755 "$B" "$B"/*
  cat > "$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$me
SlurmdUser=$me
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthInfo=cred_expire=5,socket=$R/munge.sock
StateSaveLocation=$B/state
SlurmdSpoolDir=$B/spool
SlurmctldPidFile=$R/slurmctld.pid
SlurmdPidFile=$R/slurmd.pid
SlurmctldLogFile=$B/log/slurmctld.log
SlurmdLogFile=$B/log/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
KillWait=30
MinJobAge=3600
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  [ -f "$R/munge.key" ] || (umask 077; head -c 1024 /dev/urandom > "$R/munge.key")
  munged --key-file="$R/munge.key" --socket="$R/munge.sock" --pid-file="$R/munged.pid" --seed-file="$R/munged.seed" \
    --log-file="$B/log/munged.log"
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF"
  for _ in $(seq 150); do [ "$(sinfo -h -o %T)" = idle ] && return; sleep 0.2; done
  echo "the node does not become idle; see $B/log" >&2
  return 1
}

down() {  # jobs before daemons: a step left without them outlives its job
  scancel --user="$(id -un)" || true
  for _ in $(seq 50); do [ -z "$(squeue -h)" ] && break; sleep 0.2; done
  local daemon pid
  for daemon in slurmd slurmctld munged; do
    [ -f "$R/$daemon.pid" ] || continue
    pid=$(cat "$R/$daemon.pid")
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$daemon" ] || continue
    kill -TERM "$pid"
    for _ in $(seq 50); do grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status" || break; sleep 0.2; done
  done
}

"$1"
