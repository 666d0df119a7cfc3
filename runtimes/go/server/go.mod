module everfold/server

go 1.19
