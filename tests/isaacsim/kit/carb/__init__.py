def log_info(message):
    pass


def log_warn(message):
    print(message)


log_error = log_warn
