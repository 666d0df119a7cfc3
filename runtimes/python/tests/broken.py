def main(context):
