class empty {
    public empty() {}
}
