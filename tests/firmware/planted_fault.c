/* Two faults that a sanitizer must stop: argument "overflow", or any other for a bad access. */
#include <limits.h>
#include <string.h>

int main(int count, char **words)
{
    int row[2] = {INT_MAX - count, 0};
    if (count > 1 && strcmp(words[1], "overflow") == 0) {
        return row[0] + 2 * count > 0;
    }
    return row[count + 1];
}
