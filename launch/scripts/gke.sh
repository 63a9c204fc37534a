#!/usr/bin/env bash
# Train on TPU slices of Kubernetes (GKE), as a JobSet that is started again where it was interrupted.
#
#   IMAGE=REGISTRY/vimogen ACCELERATOR=tpu-v5-lite-podslice TOPOLOGY=16x16 HOSTS=64 \
#   launch/scripts/gke.sh NAME --config=configs/vimogen_1b.py --config.data.path=gs://BUCKET/dataset --config.train.workdir=gs://BUCKET/run
#
# NAME is that of the JobSet; all other arguments are those of launch.train. The cluster has JobSet
# (https://jobset.sigs.k8s.io) and node pools of the slices. A pod that ends with status 1, where
# something has to be mended first, fails the JobSet; any other end makes all pods anew. In the
# environment:
#   IMAGE        holds the checkout with .venv in /vimogen_jax
#   ACCELERATOR, TOPOLOGY   of a slice, as GKE labels its nodes
#   HOSTS        of a slice, each with CHIPS chips (4 if not set)
#   SLICES       1 if it is not set; the first axis of the mesh runs across them
#   RESTARTS     how often at most; 100 if it is not set
set -euo pipefail
name="${1:?name the JobSet}"
shift 1

quoted() { printf "'%s', " "${@//\'/\'\'}"; }

kubectl apply -f - << YAML
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $name
  annotations: {alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool}
spec:
  failurePolicy:
    maxRestarts: ${RESTARTS:-100}
    rules:
    - {action: FailJobSet, onJobFailureReasons: [PodFailurePolicy]}
  replicatedJobs:
  - name: slice
    replicas: ${SLICES:-1}
    template:
      spec:
        parallelism: ${HOSTS:?how many hosts has a slice}
        completions: $HOSTS
        backoffLimit: 0
        podFailurePolicy:
          rules:
          - {action: FailJob, onExitCodes: {containerName: train, operator: In, values: [1]}}
        template:
          spec:
            restartPolicy: Never
            terminationGracePeriodSeconds: 300
            nodeSelector:
              cloud.google.com/gke-tpu-accelerator: ${ACCELERATOR:?name the kind of slice}
              cloud.google.com/gke-tpu-topology: ${TOPOLOGY:?name the topology of a slice}
            containers:
            - name: train
              image: ${IMAGE:?name the image}
              workingDir: /vimogen_jax
              command: [$(quoted .venv/bin/python -m launch.train "$@")]
              resources: {limits: {google.com/tpu: ${CHIPS:-4}}}
YAML
echo "follow it by: kubectl logs --follow --selector=jobset.sigs.k8s.io/jobset-name=$name"
