# `make help` lists the targets. PYTHON=/path/to/python chooses the interpreter, ARGS="..." goes
# to the command behind the target.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?=
ARGS ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.12 python3.11 python3.10 python3)
PIP_INSTALL := -m pip install --disable-pip-version-check
THIS_TREE := --no-deps --no-build-isolation
UV ?= uv
UV_COMPILE = $(UV) pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
  --no-annotate --no-strip-extras --constraints constraints.txt --no-emit-package terrain-seg-ros \
  --no-emit-package terrain-seg-training
RENDER_PYTHON ?= python3.11
ROS_SETUP := $(firstword $(wildcard /opt/ros/*/setup.bash))

# Makes the virtual environment $(1) with the first candidate that is in range and has venv.
define make_venv
@lacking=; \
for python in $(CANDIDATES); do \
  "$$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null || continue; \
  if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
    echo "Making $(1) with $$python (once)"; exec "$$python" -m venv --clear $(1); \
  fi; \
  lacking=$${lacking:-$$("$$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')}; \
done; \
if [ -n "$$lacking" ]; then echo "error: Python's venv module is missing; install the package $$lacking" >&2; \
else echo "error: no Python 3.10 to 3.12 among: $(CANDIDATES); install one or set PYTHON=" >&2; fi; \
exit 1
endef

# A ROS that is sourced wins over the wheels: without this file they put their libraries first.
sourced_ros_first = "$(1)/bin/python" -c 'import pathlib, sysconfig; \
  pathlib.Path(sysconfig.get_path("purelib"), "_sourced_ros_first.pth").write_text( \
  "import os; os.environ.get(\"AMENT_PREFIX_PATH\") and os.environ.setdefault(\"_ROS_WHEELS_BOOTSTRAP_COMPLETE\", \"1\")\n")'
# Environment of the tests: without a ROS that may be sourced.
UNSOURCED := env -u PYTHONPATH $(if $(AMENT_PREFIX_PATH),-u AMENT_PREFIX_PATH -u LD_LIBRARY_PATH -u CMAKE_PREFIX_PATH -u RMW_IMPLEMENTATION)
DISTRO ?= kilted

.PHONY: help demo test test-fast test-ros test-ros-wheels test-training lint lint-training docs reference pictures bench \
  performance compare gpu endurance fuzz coverage lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

demo: .venv/.ros-wheels $(if $(findstring --view,$(ARGS)),.venv/.view)  ## run the whole pipeline live on real rover images; ARGS=--view shows it in the browser
	@.venv/bin/terrain-seg demo $(ARGS)

test: .venv/.dev .venv/.ros-wheels  ## run the runtime's tests (no torch; ROS from PyPI's wheels where they fit)
	@$(UNSOURCED) .venv/bin/python -m pytest $(ARGS)

test-fast: .venv/.dev  ## run most of the tests in under a minute: none that is slow or joins a bus
	@$(UNSOURCED) .venv/bin/python -m pytest -m "not live and not slow" $(ARGS)

test-ros-wheels:  ## test beside the wheels of another ROS 2 from PyPI: DISTRO=kilted
	@test -f 'requirements/ros-$(DISTRO).txt' || { echo "error: DISTRO is '$(DISTRO)', expected one of:" \
	  "$(patsubst requirements/ros-%.txt,%,$(wildcard requirements/ros-*.txt))" >&2; exit 1; }
	@$(MAKE) --no-print-directory .venv-ros-$(DISTRO)/.ros-wheels
	@if .venv-ros-$(DISTRO)/bin/python -c 'import rclpy' 2>/dev/null; then \
	  $(UNSOURCED) .venv-ros-$(DISTRO)/bin/python -m pytest tests/ros/test_node_live.py \
	    tests/ros/test_lifecycle.py tests/ros/test_interoperation.py \
	    tests/ros/test_lacking_packages_by_dds.py $(ARGS); \
	else echo "test-ros-wheels: skipped, because no wheels of $(DISTRO) fit this machine"; fi

test-ros:  ## build with colcon and test beside a ROS 2 that is installed
ifeq ($(ROS_SETUP),)
	@echo "test-ros: skipped, because no ROS 2 is installed (no /opt/ros/*/setup.bash)"
else
	@$(MAKE) --no-print-directory .venv-ros/.ros
	@set +u; source $(ROS_SETUP); set -u; source .venv-ros/bin/activate; \
	python -m colcon --log-base out/ros/log list | grep -E 'terrain_seg_ros.*ros\.ament_python'; \
	python -m colcon --log-base out/ros/log build --base-paths . --build-base out/ros/build \
	  --install-base out/ros/install; \
	set +u; source out/ros/install/setup.bash; set -u; \
	ROS_PYTHON_CHECK_FIELDS=1 python -m pytest tests/ros tests/core tests/messages $(ARGS)
endif

test-training: .venv-training/.training  ## test training/ (torch; about 5.5 GB)
	@env -u PYTHONPATH .venv-training/bin/python -m pytest -n 2 --dist loadfile training/tests $(ARGS)

lint: .venv/.dev  ## style, types, import contracts, spelling
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	PYTHONPATH=training/src .venv/bin/lint-imports
	.venv/bin/codespell

docs: .venv/.docs  ## build the documentation site into out/site; broken links fail
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet $(ARGS)
	@echo "docs: open out/site/index.html (search needs: python3 -m http.server -d out/site)"

reference: .venv/.dev  ## write the generated tables of README.md, docs/reference and docs/requirements.md again
	@.venv/bin/python tests/house/render_reference.py
	@.venv/bin/python tests/house/render_requirements.py

pictures: .venv/.dev  ## draw the pictures of README.md and docs/ again
	@.venv/bin/python tests/house/render_pictures.py

lint-training: .venv-training/.training  ## types of training/, checked beside torch
	cd training && ../.venv-training/bin/python -m mypy

bench: .venv/.runtime  ## measure every backend that is installed
	@.venv/bin/terrain-seg bench $(ARGS)

performance: .venv/.dev .venv-training/.training  ## measure, and write docs/performance.md
	@mkdir -p out
	@.venv-training/bin/terrain-train peers mars_navcam --model mars_navcam --json out/peers.json
	@.venv/bin/terrain-seg bench --peers out/peers.json --markdown docs/performance.md $(ARGS)

GPU_BENCH = --size 640x480 --size 1920x1080 --rounds 100 --no-geometry
gpu: .venv-gpu/.gpu  ## on a machine with an NVIDIA GPU: test TensorRT, and measure it, within ten minutes
	@mkdir -p out/gpu
	.venv-gpu/bin/python -m pytest tests/inference/backends/test_tensorrt_gpu.py
	.venv-gpu/bin/terrain-seg prepare --model mars_navcam --backend tensorrt
	if command -v trtexec >/dev/null; then \
	  trtexec --onnx=src/terrain_seg_ros/models/mars_navcam/model.onnx --fp16 --useCudaGraph >out/gpu/trtexec.log; fi
	.venv-gpu/bin/terrain-seg bench $(GPU_BENCH) --json out/gpu/bench.json --markdown out/gpu/bench.md \
	  $$(test -f out/gpu/trtexec.log && echo --against out/gpu/trtexec.log) $(ARGS)

endurance: .venv/.dev  ## run the live node for an hour, watch what it holds, and write docs/evidence/endurance.md; ARGS="--minutes 10"
	@mkdir -p out
	@.venv/bin/python -m terrain_seg_ros.bench.endurance --markdown docs/evidence/endurance.md --json out/endurance.json $(ARGS)

compare: .venv/.dev  ## compare this tree's speed with another checkout's, in turns: TREE=path
	@.venv/bin/python tests/house/compare_trees.py $(TREE) $(ARGS)

fuzz: .venv/.dev  ## change inputs at random for longer; ARGS="--fuzz-seed=7 --fuzz-count=50"
	@$(UNSOURCED) .venv/bin/python -m pytest tests/fuzz --fuzz-count=20 $(ARGS)

coverage: .venv/.dev  ## run the tests with branch coverage
	@$(UNSOURCED) .venv/bin/python -m pytest --cov=terrain_seg_ros --cov-branch --cov-report=term-missing:skip-covered $(ARGS)

lock:  ## write requirements/*.txt anew from constraints.txt, with hashes (needs uv)
	$(UV_COMPILE) -o requirements/runtime.txt setup.py requirements/build.in
	$(UV_COMPILE) --extra dev --extra fleet --extra sim --extra view -o requirements/dev.txt setup.py requirements/build.in
	$(UV_COMPILE) --extra view -o requirements/view.txt setup.py requirements/build.in
	$(UV_COMPILE) --extra docs -o requirements/docs.txt setup.py requirements/build.in
	$(UV_COMPILE) -o requirements/training.txt requirements/training.in
	for distro in jazzy kilted; do $(UV_COMPILE) -o requirements/ros-$$distro.txt requirements/ros-$$distro.in; done
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-strip-extras -o requirements/render.txt requirements/render.in

clean:  ## remove what the other targets made
	rm -rf .venv .venv-gpu .venv-ros .venv-ros-kilted .venv-training .venv-render out build dist .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .hypothesis .coverage src/*.egg-info training/src/*.egg-info
	find src tests training -name __pycache__ -type d -prune -exec rm -rf {} +

# ONNX Runtime for GPUs replaces the one for CPUs: both are the package onnxruntime.
.venv-gpu/.gpu: setup.py requirements/dev.txt
	@nvidia-smi --list-gpus || { echo "error: no NVIDIA GPU answers nvidia-smi; run this on a machine with one" >&2; exit 1; }
	$(call make_venv,.venv-gpu)
	.venv-gpu/bin/python $(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	.venv-gpu/bin/python $(PIP_INSTALL) -e '.[tensorrt,ort-gpu]'
	.venv-gpu/bin/python -m pip uninstall --yes onnxruntime onnxruntime-gpu
	.venv-gpu/bin/python $(PIP_INSTALL) --no-deps 'onnxruntime-gpu>=1.17,<2'
	@touch $@

# Everything that is fetched must have a hash in requirements/; then this tree itself, which has none.
.venv/.runtime: setup.py requirements/runtime.txt
	$(call make_venv,.venv)
	.venv/bin/python $(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	.venv/bin/python $(PIP_INSTALL) $(THIS_TREE) -e .
	@.venv/bin/python -c 'from terrain_seg_ros.core.kernel import compile_kernels; print("loops compiled", compile_kernels())'
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.txt
	.venv/bin/python $(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

.venv/.view: .venv/.runtime requirements/view.txt
	.venv/bin/python $(PIP_INSTALL) --require-hashes -r requirements/view.txt
	@touch $@

# Optional: where no wheel fits, everything else still works.
.venv/.ros-wheels: .venv/.runtime requirements/ros-jazzy.txt
	@if .venv/bin/python $(PIP_INSTALL) --quiet --require-hashes -r requirements/ros-jazzy.txt; then \
	  $(call sourced_ros_first,.venv); touch $@; \
	else echo "note: the wheels of ROS 2 cannot be installed here (they are for x86-64); going on without rclpy"; fi

.venv-ros-%/.ros-wheels: setup.py requirements/ros-%.txt requirements/dev.txt
	$(call make_venv,.venv-ros-$*)
	.venv-ros-$*/bin/python $(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	.venv-ros-$*/bin/python $(PIP_INSTALL) $(THIS_TREE) -e .
	@if .venv-ros-$*/bin/python $(PIP_INSTALL) --quiet --require-hashes -r requirements/ros-$*.txt; then \
	  $(call sourced_ros_first,.venv-ros-$*); touch $@; \
	else echo "note: the wheels of ROS 2 $* cannot be installed here (they are for x86-64)"; fi

.venv/.docs: .venv/.runtime requirements/docs.txt
	.venv/bin/python $(PIP_INSTALL) --require-hashes -r requirements/docs.txt
	@touch $@

.venv-training/.training: setup.py requirements/training.txt training/pyproject.toml
	$(call make_venv,.venv-training)
	.venv-training/bin/python $(PIP_INSTALL) --require-hashes -r requirements/training.txt
	.venv-training/bin/python $(PIP_INSTALL) $(THIS_TREE) -e . -e ./training
	@touch $@

# Blender's bpy: one Python version, NumPy 1; it renders training pictures and is never distributed.
.venv-render/.render: requirements/render.txt
	@"$(RENDER_PYTHON)" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	{ echo "error: bpy 4.5 needs Python 3.11 with venv, and '$(RENDER_PYTHON)' is not one; install" \
	  "python3.11-venv or set RENDER_PYTHON=" >&2; exit 1; }
	"$(RENDER_PYTHON)" -m venv --clear .venv-render
	.venv-render/bin/python $(PIP_INSTALL) --require-hashes -r requirements/render.txt
	@touch $@

# ROS has its own versions: NumPy 1, a pytest that launch_pytest survives, a setuptools that colcon can use.
.venv-ros/.ros: setup.py
	/usr/bin/python3 -m venv --clear --system-site-packages .venv-ros
	.venv-ros/bin/python $(PIP_INSTALL) 'numpy>=1.26,<2' 'pytest>=7,<8' 'pytest-timeout>=2.3,<3' \
	  'setuptools<80' 'hypothesis>=6,<7' colcon-common-extensions
	.venv-ros/bin/python $(PIP_INSTALL) 'numpy>=1.26,<2' -e .
	@touch $@
