print("bda-coordinator")
