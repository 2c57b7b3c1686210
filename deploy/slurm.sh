#!/usr/bin/env bash
# A Ray cluster for one command of racer in a Slurm job:
#   sbatch --nodes=4 deploy/slurm.sh board run-season entries
# The machines share this folder and the environment in which racer is installed.
#SBATCH --job-name=racer
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=04:00:00
set -euo pipefail

if [ $# -eq 0 ]; then
  echo "usage: sbatch deploy/slurm.sh COMMAND [OPTIONS], a command of racer that takes --cluster" >&2
  exit 2
fi
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
export RAY_USAGE_STATS_ENABLED=0
# Others may be on these machines: only who has this user's token, in ~/.ray/auth_token, gets in.
export RAY_AUTH_MODE=token
ray get-auth-token --generate >/dev/null
port=$((20000 + SLURM_JOB_ID % 10000))
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | cut -d' ' -f1)

srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
  ray start --head --node-ip-address="$address" --port="$port" --include-dashboard=false --block &
until ray health-check --address "$address:$port" >/dev/null 2>&1; do sleep 1; done
if [ "${#nodes[@]}" -gt 1 ]; then
  others=$(IFS=,; echo "${nodes[*]:1}")
  srun --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --nodelist="$others" --overlap \
    ray start --address="$address:$port" --block &
fi
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap racer "$@" --cluster "$address:$port"
