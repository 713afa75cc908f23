# Short names for tasks.py, which does the work. make test ARGS="-k digest"
.PHONY: demo test lint lock
demo test lint lock:
	python3 tasks.py $@ $(ARGS)
