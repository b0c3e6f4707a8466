print("bda-worker")
