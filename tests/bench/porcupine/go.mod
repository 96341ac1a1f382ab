module kraftbed/bench/porcupine

go 1.21
