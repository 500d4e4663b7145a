#!/usr/bin/env bash
# What is to be measured where a GPU is at hand; about 15 minutes of an H100, estimated, since none was at hand.
#   bash benchmarks/on_a_gpu.sh FOLDER_OF_THE_PUBLISHED_CODE      with CIFAR-10 below $NNMASS_DATA
#   SCALE=smoke bash benchmarks/on_a_gpu.sh FOLDER                the same commands as a try-out, also on a CPU
# Started again, it goes on where it was.
set -euo pipefail
published=${1:?folder of the published code (github SLDGroup/NN_Mass)}
scale=${SCALE:-small}
epochs=(--epochs 30)
few=()
if [ "$scale" = smoke ]; then
  epochs=()
  few=(--pairs 2 --batch 4 --no-compile --out results/gpu-smoke/training_throughput.json)
fi

# 4 min: throughput, share of the convolution ceiling, with and without torch.compile, memory per image
python benchmarks/training_throughput.py --published "$published" "${few[@]}"
# 8 min: accuracy against mass, 24 networks of four depths × 3 seeds, several at a time on the GPU
nnmass reproduce cnn-cifar10 --scale "$scale" "${epochs[@]}" --workers 6 --out "results/gpu-$scale/cnn-cifar10"
# 3 min: two DenseNets against designed ones, 5 seeds
nnmass reproduce compress-cifar10 --scale "$scale" "${epochs[@]}" --seeds 5 --workers 6 \
  --out "results/gpu-$scale/compress-cifar10"
