# The words of ./run, for hands that expect make. Arguments: make test ARGS="-k name".
.PHONY: run setup test check fresh

run setup test check:
	@./run $(subst run,serve,$@) $(ARGS)

fresh:
	@scripts/fresh $(ARGS)
