"""The solutions of the sheet, one a form: tasks are made by blanking them out, and fillings are held against them."""
