"""Brain regions, one a file, and the assemblies made of them."""
