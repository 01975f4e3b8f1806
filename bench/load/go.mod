module sensorium/bench/load

go 1.22.0
