module modferry.test/load

go 1.21
