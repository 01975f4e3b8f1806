module sensorium/bench/load

go 1.21
