"""What a plug-in declares and does as it is imported, checked before it is used."""
