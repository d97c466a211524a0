#!/usr/bin/env bash
# A store of every technique, and whether the code of now makes it again bit for bit.
#
#   tests/every_technique.sh make FOLDER     record it, with the code of this checkout
#   tests/every_technique.sh check FOLDER    make it again, with the code of this checkout
#
# For changes that must not move a number: `make` in a checkout from before, `check` in the one
# after. Two seeds of every technique on a table, on images and on a series; what does not apply to
# one of them is left out there. Some minutes each, so that CI leaves it out. The variable REGEXP
# says which command to run, .venv/bin/regexp if it is not set.
set -euo pipefail
task=${1:?make or check} folder=$(realpath -m "${2:?a folder}")
read -ra regexp <<<"${REGEXP:-.venv/bin/regexp}"
export OMP_NUM_THREADS=1

sweeps=(
    "dataset=iris model=mlp trainer.batch_size=16"
    "dataset=digits dataset.train_size=128 dataset.test=0.1 model=cnn"
    "dataset=series model=lstm"
)
case $task in
make)
    mkdir -p "$folder"
    for sweep in "${sweeps[@]}"; do
        read -ra overrides <<<"$sweep"
        "${regexp[@]}" -m 'regularizer=glob(*)' "${overrides[@]}" seeds=2 trainer.epochs=3 \
            figures=false paths.mlruns="$folder" | tee "$folder/output.txt"
        sed -n 's/^ *regexp rerun --sweep //p' "$folder/output.txt" >>"$folder/sweeps.txt"
    done
    ;;
check)
    failed=0
    while read -r sweep; do
        "${regexp[@]}" rerun --sweep "$sweep" paths.mlruns="$folder" || failed=1
    done <"$folder/sweeps.txt"
    exit $failed
    ;;
*)
    echo "expected make or check, got $task" >&2
    exit 2
    ;;
esac
