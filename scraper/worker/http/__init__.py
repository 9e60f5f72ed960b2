"""HTTP: how a worker is asked for jobs, and watched, from outside its process."""
