"""The server of functions in Python. All of it is a module, because Python keeps a module compiled, but no program."""

import contract

contract.serve()
