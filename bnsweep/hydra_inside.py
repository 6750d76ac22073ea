"""What the program takes from the inside of Hydra, and nothing else does.

Relies on what each part below names; remove a part when Hydra offers the same in public.
"""

# --- The command line ---


# --- What Hydra complains of ---
