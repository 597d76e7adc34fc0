# make demo    set up what is missing, then the main job: a sticker, a car, a report; two defenses
# make test    set up what is missing, then the tests and the journeys of a user
# make check   formatting, lint, types, import floors
# make accept  every promised number, measured and recorded under results/
# make fuzz    a million inputs through the server's wire layer; needs the extra "fuzz"
# make bench   speed, side by side in one run
# make art     our patch attack beside ART's; needs the package adversarial-robustness-toolbox
BIN := .venv/bin
DEMO := runs/demo

.PHONY: setup demo test check accept fuzz bench art rl transfer

setup:
	@sh .ci/setup

demo: setup
	$(BIN)/simattack optimize stop_sign --name demo --out $(DEMO)/patches --iterations 150 --views 96
	$(BIN)/simattack run demo --patch $(DEMO)/patches/demo.png --workers 2 --out $(DEMO)/drives
	$(BIN)/simattack compare defenses_quick --out $(DEMO)/defenses

test: setup
	@sh .ci/test

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_floors.py

accept: setup
	$(BIN)/python benchmarks/accept.py

fuzz: setup
	$(BIN)/python benchmarks/fuzz.py

bench: setup
	$(BIN)/python benchmarks/bench.py

art: setup
	$(BIN)/python benchmarks/toolbox_race.py

rl: setup
	for scenario in oncoming cyclist; do \
		$(BIN)/python benchmarks/rl.py $$scenario --sensors gnss imu speed \
			--train 0 1 2 --steps 20000 --out results/rl/$$scenario.json || exit 1; \
	done

transfer: setup
	$(BIN)/python benchmarks/transfer.py
