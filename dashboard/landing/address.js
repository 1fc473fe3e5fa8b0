// Writes the address of this page into its example.
document.getElementById('endpoint').textContent = location.origin;
