"""python -m kilo_gateway"""

from kilo_gateway.cli import main

if __name__ == "__main__":
    main()
