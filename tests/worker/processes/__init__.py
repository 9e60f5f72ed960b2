"""Workers, and the processes of their crawls, as the operating system has them."""
