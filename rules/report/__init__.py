"""What was found out, as text lines or JSON documents, drawings and pages. Pure: nothing is printed here."""
