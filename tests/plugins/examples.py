"""Files of plug-ins as a user would write them."""

METHOD = '"""A method."""\nTRAINED = True\nHEAD = "linear"\nPARAMETERS = {"weight": 0.5}\nBOUNDS = {"weight": (0, 1)}\n'
